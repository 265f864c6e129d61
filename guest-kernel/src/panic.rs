//! What happens when the kernel finds itself broken.
