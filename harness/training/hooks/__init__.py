"""Ready ends for the trainers of others: Hugging Face's Trainer, Lightning, and mmengine's Runner without `align`."""
