"""How a trained model is asked for an image: in one piece or in windows, at which scales, flipped or not."""
