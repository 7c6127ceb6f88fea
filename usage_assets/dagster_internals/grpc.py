"""A private name of Dagster's code servers. Importing it takes a tenth of a second."""

from dagster._grpc.client import DagsterGrpcClient
