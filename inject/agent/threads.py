# SPDX-License-Identifier: GPL-3.0-or-later
# The part of runner.py that mends what threading has noted of the agent's thread; runs in its
# globals. old and new are what lookup() said before and after the payload.


def give_back_main(threading, ident):
    """Up to 3.12 the thread that imports threading first is taken for the main thread for good."""
    main = getattr(threading, "_main_thread", None)
    if main is None or main.ident != ident:
        return
    # The oldest thread that runs Python is the last of them.
    idents = [other for other in sys._current_frames() if other != ident]
    if not idents:
        return
    with threading._active_limbo_lock:
        threading._active.pop(ident, None)
        threading._active[idents[-1]] = main
        main._ident = idents[-1]
        if hasattr(main, "_native_id"):
            main._native_id = posix.getpid()
        if hasattr(main, "_tstate_lock"):
            locks = getattr(threading, "_shutdown_locks", set())
            known = main._tstate_lock in locks
            locks.discard(main._tstate_lock)
            main._tstate_lock = _thread.allocate_lock()
            main._tstate_lock.acquire()
            if known:
                locks.add(main._tstate_lock)


def drop_dummy(threading, ident):
    """threading.current_thread() on a foreign thread leaves a dummy behind."""
    if hasattr(threading, "_thread_local_info"):  # from 3.13 on: what drops it when the thread ends
        vars(threading._thread_local_info).pop("_track_dummy_thread_ref", None)
    if type(threading._active.get(ident)).__name__ == "_DummyThread":
        del threading._active[ident]


if old[0] is None:
    give_back_main(new[0], owner[1])
if new[1] and not old[1]:
    drop_dummy(new[0], owner[1])
