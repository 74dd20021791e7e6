# SPDX-License-Identifier: GPL-3.0-or-later
"""A celery application whose worker is a target. Its broker is the folder QUEUE of the environment."""
import os
import sys

import billiard.pool
from celery import Celery
from celery.signals import worker_process_init

sys.path.insert(1, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import kit  # noqa: E402

# Its handler of SIGUSR1 would take the place of kit's; nothing here has a time limit.
billiard.pool.soft_timeout_sighandler = kit.on_report
queue = os.environ["QUEUE"]
app = Celery("celery_task", broker="filesystem://")
app.conf.broker_transport_options = {"data_folder_in": queue, "data_folder_out": queue}


@worker_process_init.connect
def begin(**_):
    kit.ready(childless=False)
