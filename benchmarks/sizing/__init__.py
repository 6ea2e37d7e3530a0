"""What one Redis, one S3 server and one Broker carry, and what Knative costs and takes: see benchmarks/knative.py."""
