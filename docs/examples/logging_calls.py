"""Log records of a task say which call they belong to."""

import logging
import sys

from atasks_ng import atask, current_call, run

logging.basicConfig(stream=sys.stdout, level="INFO", format="%(call_task)s: %(message)s")
logger = logging.getLogger("shop")


@atask(name="sell")
async def sell(item: str) -> str:
    logger.info("sold one %s", item)
    return current_call().id


if __name__ == "__main__":
    run(sell("apple"), url="loopback://")
