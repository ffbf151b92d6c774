"""What people look at: plots of circuits."""
