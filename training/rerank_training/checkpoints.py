"""Checkpoints as commands name them: a folder, or the word demo: the trained model that comes with the kit."""

from pathlib import Path

from rerank_training.errors import DataError

DEMO = "demo"


def checkpoint_folder(named: str | Path) -> Path:
    """The folder that `named` means; whether it exists is not looked at, except for the demo.

    As for `rerank package`, demo is always the demo: a folder of that name is ./demo.

    Raises:
        BundleError: demo is asked for, and this installation does not have it.
    """
    if str(named) != DEMO:
        return Path(named).expanduser()
    from rerank_bundle.demo import demo_checkpoint

    return demo_checkpoint()


def complete_checkpoint(folder: Path) -> Path:
    """`folder`, if it has the files that are read from a checkpoint.

    Raises:
        DataError: it is not a folder, or lacks one.
        BundleError: likewise, where it can be told why: an adapter, shards, pickles, Git LFS pointers.
    """
    names = ("config.json", "model.safetensors", "tokenizer.json")
    if not folder.is_dir():
        raise DataError(
            f"{folder} is not a folder.", tip="Name a checkpoint's folder, or demo; unpack a bundle with tar first."
        )
    lacking = [name for name in names if not (folder / name).is_file()]
    try:
        from rerank_bundle.checkpoint import refuse_unusable
    except ModuleNotFoundError:  # a training job has no room for bundles
        pass
    else:
        refuse_unusable(folder, {entry.name for entry in folder.iterdir() if entry.is_file()})
    if lacking:
        raise DataError(f"{folder} has no {', no '.join(lacking)}.", tip=f"A checkpoint is a folder with {names}.")
    return folder
