"""A pass over a data set with a trained model: image by image, resumable, in one process or several."""
