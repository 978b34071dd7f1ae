//! What a plugin may see of the world: content-hashed read-only trees, and the carriers that bring a plugin in.
