"""What both doors report: logs, metrics, Embedded Metric Format, traces."""
