"""Floor 2: two bare logs, judged on what they allow. Pure: values in, values out."""
