"""One machine: what a cluster gives, wired by the same manifests."""
