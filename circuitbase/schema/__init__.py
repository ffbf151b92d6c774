"""What the database holds: labels, relationship types, properties, keys, identities, migrations.

Pure declarations and text; nothing here does IO or imports anything but the standard library.
"""
