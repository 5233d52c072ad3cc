"""Looking inside a trained network: filters, activations, Grad-CAM, neighbours."""
