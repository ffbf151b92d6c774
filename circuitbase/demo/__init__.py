"""The small trained model `atlas`, its dictionaries, its prompt sets, and the script that makes them."""
