"""Two bare logs, judged on what they allow. Pure: values in, values out."""
