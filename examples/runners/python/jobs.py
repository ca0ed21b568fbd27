"""Thumbnails in Python. `jiggler-uring -r examples/runners/python/jobs.py`, then in a second terminal
`jiggler-uring enqueue Thumbnail '["cat.png", 100]'`."""
import asyncio

from jiggler_uring import Discard, Snooze, current, enqueue, job

READY = {"cat.png", "dog.png"}


@job("Thumbnail", retries=3)
def thumbnail(image, width, height=None):
    if image.endswith(".gif"):
        raise Discard("animations have no thumbnail")
    if image not in READY:
        raise Snooze(60)  # it is still being uploaded: costs no attempt
    for step in range(3):
        current().progress(step + 1, 3, "scaling")
    print(f"{image} at {width}x{height or width}")  # a line of the worker's log, with the job's jid
    enqueue(notify, image)


@job("Notify")
async def notify(image):
    await asyncio.sleep(0.01)
    print(f"{image} is ready")
