"""From bytes on disk to images, splits and batches."""
