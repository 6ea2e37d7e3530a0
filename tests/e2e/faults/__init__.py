"""The faults that the service has to get over: what each is called, where it is played, and how.

Those that a cluster can show too are rows of tests/knative/behaviours.
"""

from collections.abc import Callable
from dataclasses import dataclass

from tests.e2e.faults import callbacks, crowds, stores, worker
from tests.e2e.faults.stage import Stage


@dataclass(frozen=True)
class Setting:
    """A service's workers and settings; faults of equal ones share a service."""

    workers: int = 1
    environment: tuple[tuple[str, str], ...] = ()


ONE = Setting()
TWO = Setting(workers=2)
HURRIED = Setting(environment=(("TIME_LIMIT", "3"), ("TIME_MARGIN", "2.8"), ("MAX_ATTEMPTS", "1")))
PATIENT = Setting(environment=(("GRACE_SECONDS", "8"),))

FAULTS: dict[str, tuple[Setting, Callable[[Stage], None]]] = {
    "separate killed at ten random points of one song": (TWO, worker.killed_at_ten_random_points),
    "separate stopped past its lease while another took the song": (TWO, worker.stopped_past_its_lease),
    "separate stopped while the song was removed": (TWO, worker.stopped_while_removed),
    "separate stopped while the song was removed and uploaded again": (TWO, worker.stopped_while_uploaded_again),
    "same event five times at once": (TWO, crowds.same_event_five_times),
    "song that kills its worker": (HURRIED, worker.kills_its_worker),
    "Redis emptied and songs uploaded again": (PATIENT, stores.redis_emptied_and_uploaded_again),
    "separate terminated": (ONE, worker.terminated),
    "separate killed between parts and record": (ONE, worker.killed_between_parts_and_record),
    "separate killed between done.json and record": (ONE, worker.killed_between_done_and_record),
    "song removed during separation": (ONE, worker.removed_during_separation),
    "Redis restarted during separation": (ONE, stores.redis_restarted),
    "Redis away during separation": (ONE, stores.redis_away_during_separation),
    "Redis away during upload": (ONE, stores.redis_away_during_upload),
    "Redis emptied during separation": (ONE, stores.redis_emptied_during_separation),
    "Redis emptied when finished": (ONE, stores.redis_emptied_when_finished),
    "S3 away during upload": (ONE, stores.s3_away_during_upload),
    "S3 away during separation": (ONE, stores.s3_away_during_separation),
    "S3 away while files are rendered": (ONE, stores.s3_away_while_rendering),
    "twenty equal uploads at once": (ONE, crowds.twenty_equal_uploads),
    "removal and equal upload at once": (ONE, crowds.removal_and_equal_upload_at_once),
    "ten songs at once": (ONE, crowds.ten_songs_at_once),
    "callback target down": (ONE, callbacks.down),
    "callback target slow": (ONE, callbacks.slow),
    "callback target answers 500": (ONE, callbacks.answers_500),
    "callback target answers 410": (ONE, callbacks.answers_410),
    "callback target answers 301": (ONE, callbacks.answers_301),
    "callback target answers Retry-After": (ONE, callbacks.answers_retry_after),
    "callback forgotten": (ONE, callbacks.forgotten),
    "up killed and started again": (ONE, crowds.up_killed_and_started_again),
}
