//! Google's own clients, and octoDNS, against the double of Cloud DNS.
