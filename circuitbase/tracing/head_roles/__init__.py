"""What attention heads do, by scores with exact definitions: which look back, which copy, which move names."""
