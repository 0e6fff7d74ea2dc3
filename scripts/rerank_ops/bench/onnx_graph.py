"""The ONNX graph of a JinaBERT checkpoint, made once and kept beside it."""

from pathlib import Path


def graph_file(folder: Path, *, int8: bool = False) -> Path:
    """`folder`/model.onnx, or model_int8.onnx, made when it is not there.

    Raises:
        ImportError: onnx, onnxscript or onnxruntime is not installed.
    """
    plain = folder / "model.onnx"
    if not plain.is_file():
        _export(folder, plain)
    if not int8:
        return plain
    quantised = folder / "model_int8.onnx"
    if not quantised.is_file():
        from onnxruntime.quantization import QuantType, quantize_dynamic

        quantize_dynamic(str(plain), str(quantised), weight_type=QuantType.QInt8, per_channel=True)
    return quantised


def _export(folder: Path, path: Path) -> None:
    import torch

    from rerank_ops.bench.padded_jina import PaddedJina

    model = PaddedJina.load(folder, fused=False)
    ids = torch.randint(5, 100, (3, 21))
    axes = {0: torch.export.Dim("batch", min=2, max=4096), 1: torch.export.Dim("length", min=2, max=8192)}
    program = torch.onnx.export(
        model,
        (ids, torch.ones_like(ids)),
        input_names=["input_ids", "attention_mask"],
        output_names=["logits"],
        dynamic_shapes=(axes, axes),
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    program.save(str(path))
