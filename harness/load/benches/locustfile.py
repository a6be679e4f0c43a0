"""One page of 1 KB, again and again, by Locust's two clients."""

import os

from locust import FastHttpUser, HttpUser, constant_throughput, task

# Requests per second of one user; 0 is as many as he can.
PACE = float(os.environ.get("PEER_PACE", "0"))


class Fast(FastHttpUser):
    """Locust's quick client."""

    if PACE:
        wait_time = constant_throughput(PACE)

    @task
    def page(self):
        self.client.get("/1k")


class Plain(HttpUser):
    """Locust's usual client."""

    if PACE:
        wait_time = constant_throughput(PACE)

    @task
    def page(self):
        self.client.get("/1k")
