"""The scheduler keeps its rules: each by name, then all of them over random histories."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from the_edge_agent.runtime.draft import used_bytes
from the_edge_agent.runtime.schedule import (
    Admit,
    Asked,
    Ended,
    Expected,
    Limits,
    LimitsChanged,
    LoadAsked,
    Model,
    ModelAdded,
    ModelRemoved,
    Refuse,
    Schedule,
    ShutdownAsked,
    Start,
    Stop,
    Ticked,
    UnloadAsked,
    WorkerLost,
    WorkerReady,
    WorkerStopped,
)
from the_edge_agent.runtime.scheduler import decide, next_wakeup_s


class World:
    """A schedule and its clock; ``tell`` returns what was decided."""

    def __init__(self, *models: Model, **limits):
        self.now_s = 0.0
        self.schedule = Schedule(Limits(**{"memory_bytes": 100, **limits}))
        for model in models:
            self.tell(ModelAdded(model))

    def tell(self, event):
        self.schedule, decisions = decide(self.schedule, event, self.now_s)
        return list(decisions)

    def tick_to(self, now_s):
        self.now_s = now_s
        return self.tell(Ticked())

    def load(self, name, size_bytes=None):
        self.tell(LoadAsked(name))
        return self.tell(WorkerReady(name, size_bytes or self.model(name).size_bytes))

    def model(self, name):
        return self.schedule.models[name]


def kinds(decisions):
    return [(type(d).__name__, getattr(d, "ticket", getattr(d, "model", None))) for d in decisions]


def test_the_first_request_for_a_model_starts_it_and_is_admitted_when_it_is_ready():
    world = World(Model("a", 10))
    assert world.tell(Asked(1, "a")) == [Start("a")]
    assert world.tell(WorkerReady("a", 12)) == [Admit(1, "a")]
    assert world.model("a").size_bytes == 12


def test_one_load_serves_all_who_asked_for_the_same_model():
    world = World(Model("a", 10, slots=8))
    decisions = [d for ticket in range(5) for d in world.tell(Asked(ticket, "a"))]
    assert decisions == [Start("a")]
    assert kinds(world.tell(WorkerReady("a", 10))) == [("Admit", ticket) for ticket in range(5)]


def test_a_model_takes_no_more_requests_than_it_has_slots_and_the_next_one_goes_when_one_ends():
    world = World(Model("a", 10, slots=1))
    world.load("a")
    assert world.tell(Asked(1, "a")) == [Admit(1, "a")]
    assert world.tell(Asked(2, "a")) == []
    assert world.tell(Ended(1)) == [Admit(2, "a")]


def test_inside_a_priority_it_is_first_come_first_served_and_a_lower_number_goes_first():
    world = World(Model("a", 10, slots=1))
    world.load("a")
    world.tell(Asked(1, "a"))
    for ticket, priority in ((2, 5), (3, 5), (4, 0), (5, 0)):
        world.tell(Asked(ticket, "a", priority))
    order = []
    running = 1
    while decisions := world.tell(Ended(running)):
        running = decisions[0].ticket
        order.append(running)
    assert order == [4, 5, 2, 3]


def test_past_its_bound_the_queue_refuses_and_says_when_to_come_again():
    world = World(Model("a", 10), queue_size=2)
    world.tell(Asked(1, "a"))
    world.tell(Asked(2, "a"))
    (refusal,) = world.tell(Asked(3, "a"))
    assert (refusal.ticket, refusal.kind) == (3, "queue_full")
    assert refusal.retry_after_s >= 1


def test_a_request_whose_deadline_passes_in_the_queue_is_refused_then():
    world = World(Model("a", 10))
    world.tell(Asked(1, "a", deadline_at_s=3.0))
    assert next_wakeup_s(world.schedule, world.now_s) == 3.0
    assert world.tick_to(2.9) == []
    assert kinds(world.tick_to(3.0)) == [("Refuse", 1)]


def test_the_least_recently_used_idle_model_is_stopped_for_one_that_needs_its_memory():
    world = World(Model("old", 40), Model("new", 40), Model("c", 50))
    world.load("old")
    world.now_s = 1
    world.load("new")
    assert world.tell(Asked(1, "c")) == [Stop("old", "its memory is needed")]
    assert world.tell(WorkerStopped("old")) == [Start("c")]


def test_memory_as_measured_decides_and_not_the_number_of_models():
    world = World(Model("a", 1), Model("b", 1), Model("c", 60))
    world.load("a", size_bytes=50)
    world.load("b", size_bytes=20)
    assert world.tell(Asked(1, "c")) == [Stop("a", "its memory is needed")]


def test_a_busy_model_is_never_evicted():
    world = World(Model("a", 60), Model("b", 60))
    world.load("a")
    world.tell(Asked(1, "a"))
    assert world.tell(Asked(2, "b")) == []
    assert world.tell(Ended(1)) == [Stop("a", "its memory is needed")]


def test_a_pinned_model_is_never_evicted_and_what_cannot_fit_beside_it_is_refused():
    world = World(Model("pinned", 60, pinned=True), Model("b", 60))
    world.load("pinned")
    (refusal,) = world.tell(Asked(1, "b"))
    assert (refusal.kind, refusal.retry_after_s) == ("too_large", 0)
    assert "60" in refusal.what
    assert "40" in refusal.what


def test_nothing_is_evicted_where_that_would_not_make_enough_room():
    world = World(Model("idle", 30), Model("busy", 60), Model("c", 50))
    world.load("idle")
    world.load("busy")
    world.tell(Asked(1, "busy"))
    assert world.tell(Asked(2, "c")) == []
    assert world.model("idle").phase == "ready"


def test_a_busy_model_takes_no_younger_requests_once_another_model_waited_long_enough():
    world = World(Model("a", 60, slots=4), Model("b", 60), patience_s=2)
    world.load("a")
    world.tell(Asked(1, "a"))
    world.tell(Asked(2, "b"))
    assert world.tell(Asked(3, "a")) == [Admit(3, "a")]
    assert next_wakeup_s(world.schedule, world.now_s) == 2
    world.tick_to(2)
    assert world.tell(Asked(4, "a")) == []
    assert world.tell(Ended(1)) == []
    assert world.tell(Ended(3)) == [Stop("a", "its memory is needed")]
    assert world.tell(WorkerStopped("a")) == [Start("b")]


def test_an_idle_model_is_unloaded_after_its_keep_alive_and_a_pinned_one_is_not():
    world = World(Model("a", 10, keep_alive_s=5), Model("p", 10, pinned=True, keep_alive_s=5))
    world.load("a")
    world.load("p")
    assert next_wakeup_s(world.schedule, 0) == 5
    assert world.tick_to(5) == [Stop("a", "idle for 5 s")]
    assert world.tell(WorkerStopped("a")) == []


def test_requests_whose_worker_died_are_admitted_again_before_all_others():
    world = World(Model("a", 10, slots=2))
    world.load("a")
    world.tell(Asked(1, "a", priority=9))
    world.tell(Asked(2, "a", priority=9))
    world.tell(Asked(3, "a", priority=0))
    assert world.tell(WorkerLost("a", "killed by signal 9")) == [Start("a")]
    assert world.tell(WorkerReady("a", 10)) == [Admit(1, "a"), Admit(2, "a")]


def test_restarts_back_off_and_after_too_many_crashes_the_model_is_failed_with_its_reason():
    world = World(Model("a", 10), crash_limit=4, backoff_s=1, backoff_max_s=1.5)
    world.tell(Asked(1, "a"))
    assert world.tell(WorkerLost("a", "exit code 3")) == [Start("a")]
    assert world.tell(WorkerLost("a", "exit code 3")) == []
    assert next_wakeup_s(world.schedule, 0) == 1
    assert world.tick_to(1) == [Start("a")]
    world.tell(WorkerLost("a", "exit code 3"))
    assert world.tick_to(2.4) == []
    assert world.tick_to(2.5) == [Start("a")]
    (refusal,) = world.tell(WorkerLost("a", "exit code 3"))
    assert (refusal.kind, world.model("a").phase) == ("failed", "failed")
    assert "exit code 3" in refusal.what


def test_a_failed_model_refuses_at_once_until_it_is_loaded_by_hand_or_time_has_passed():
    world = World(Model("a", 10), crash_limit=1, failed_retry_s=60)
    world.tell(Asked(1, "a"))
    world.tell(WorkerLost("a", "boom"))
    (refusal,) = world.tell(Asked(2, "a"))
    assert refusal.retry_after_s == 60
    assert world.tell(LoadAsked("a")) == [Start("a")]
    world.tell(WorkerLost("a", "boom"))
    world.now_s = 60
    assert world.tell(Asked(3, "a")) == [Start("a")]


def test_a_failed_model_that_is_wanted_for_itself_is_tried_again_by_the_clock():
    world = World(Model("a", 10, wanted=True, pinned=True), Model("b", 10), crash_limit=1, failed_retry_s=60)
    world.tell(WorkerLost("a", "boom"))
    assert world.model("a").phase == "failed"
    assert next_wakeup_s(world.schedule, world.now_s) == 60
    assert world.tick_to(59) == []
    assert world.tick_to(60) == [Start("a")]


def test_a_model_that_can_never_load_is_failed_at_the_first_try():
    world = World(Model("a", 10))
    world.tell(Asked(1, "a"))
    (refusal,) = world.tell(WorkerLost("a", "unknown architecture", permanent=True))
    assert (refusal.kind, world.model("a").phase) == ("failed", "failed")


def test_crashes_that_lie_apart_do_not_add_up():
    world = World(Model("a", 10, wanted=True), crash_limit=2, crash_window_s=60)
    for minute in range(5):
        world.now_s = minute * 61.0
        assert world.tell(WorkerLost("a", "boom")) == [Start("a")]


def test_an_operational_model_is_started_again_though_nobody_asks():
    world = World()
    assert world.tell(ModelAdded(Model("a", 10, pinned=True, wanted=True))) == [Start("a")]
    world.tell(WorkerReady("a", 10))
    assert world.tell(WorkerLost("a", "boom")) == [Start("a")]


def test_unload_waits_for_the_active_and_then_ends_them():
    world = World(Model("a", 10, slots=2), drain_s=5)
    world.load("a")
    world.tell(Asked(1, "a"))
    assert world.tell(UnloadAsked("a")) == []
    assert world.tell(Asked(2, "a")) == []
    decisions = world.tick_to(5)
    assert kinds(decisions) == [("Refuse", 1), ("Stop", "a")]
    assert world.tell(WorkerStopped("a")) == [Start("a")], "the one who waited gets it again"


def test_a_request_that_comes_while_its_model_stops_is_served_by_the_next_load():
    world = World(Model("a", 10))
    world.load("a")
    assert world.tell(UnloadAsked("a")) == [Stop("a", "unload was asked for")]
    assert world.tell(Asked(1, "a")) == []
    assert world.tell(WorkerStopped("a")) == [Start("a")]
    assert world.tell(WorkerReady("a", 10)) == [Admit(1, "a")]


def test_a_load_that_is_asked_for_after_an_unload_wins_also_while_it_loads():
    world = World(Model("a", 10))
    assert world.tell(LoadAsked("a")) == [Start("a")]
    assert world.tell(UnloadAsked("a")) == world.tell(LoadAsked("a")) == []
    assert world.tell(WorkerReady("a", 10)) == []
    assert world.schedule.models["a"].phase == "ready"


def test_a_failed_model_that_is_configured_anew_is_tried_again_at_once():
    world = World(Model("a", 10, wanted=True))
    world.tell(WorkerLost("a", "unknown chat_format", permanent=True))
    assert kinds(world.tell(Asked(1, "a"))) == [("Refuse", 1)]
    assert world.tell(ModelAdded(Model("a", 10, wanted=True))) == [Start("a")]
    assert not world.schedule.models["a"].failure


def test_a_lower_memory_limit_lets_idle_models_go_and_no_others():
    world = World(Model("busy", 10), Model("pinned", 10, pinned=True), Model("old", 10), Model("new", 10))
    for name in world.schedule.models:
        world.load(name)
        world.now_s += 1
    world.tell(Asked(1, "busy"))
    limits = world.schedule.limits
    assert world.tell(LimitsChanged(replace(limits, memory_bytes=30))) == [
        Stop("old", "the memory limit is lower now")
    ]
    world.tell(WorkerStopped("old"))
    assert world.tell(LimitsChanged(replace(limits, memory_bytes=5))) == [
        Stop("new", "the memory limit is lower now")
    ]


def test_a_model_that_is_taken_out_and_put_back_keeps_its_answers():
    world = World(Model("a", 10, slots=2), drain_s=5)
    world.load("a")
    world.tell(Asked(1, "a"))
    assert world.tell(ModelRemoved("a")) == world.tell(ModelAdded(Model("a", 10, slots=2))) == []
    assert world.tick_to(10) == []
    assert world.tell(Asked(2, "a")) == [Admit(2, "a")]


def test_a_reader_who_leaves_gives_the_place_back_in_the_queue_and_in_a_slot():
    world = World(Model("a", 10, slots=1))
    world.load("a")
    world.tell(Asked(1, "a"))
    world.tell(Asked(2, "a"))
    world.tell(Asked(3, "a"))
    assert world.tell(Ended(2)) == []
    assert world.tell(Ended(1)) == [Admit(3, "a")]


def test_shutting_down_refuses_who_waits_and_lets_the_served_finish():
    world = World(Model("a", 10, slots=1))
    world.load("a")
    world.tell(Asked(1, "a"))
    world.tell(Asked(2, "a"))
    assert kinds(world.tell(ShutdownAsked())) == [("Refuse", 2)]
    assert kinds(world.tell(Asked(3, "a"))) == [("Refuse", 3)]
    assert world.tell(Ended(1)) == []


def test_a_model_taken_out_of_the_configuration_is_drained_and_forgotten():
    world = World(Model("a", 10))
    world.load("a")
    assert world.tell(ModelRemoved("a")) == [Stop("a", "unload was asked for")]
    assert kinds(world.tell(Asked(1, "a"))) == [("Refuse", 1)]
    world.tell(WorkerStopped("a"))
    assert "a" not in world.schedule.models


def test_a_preload_takes_no_memory_from_models_that_are_busy_or_awaited():
    world = World(Model("a", 60), Model("next", 60))
    world.load("a")
    world.tell(Asked(1, "a"))
    assert world.tell(LoadAsked("next")) == []
    assert world.tell(Ended(1)) == [Stop("a", "its memory is needed")]


def test_an_expected_model_is_loaded_where_memory_is_free_and_is_not_kept_for_itself():
    world = World(Model("a", 40), Model("next", 60))
    world.load("a")
    assert world.tell(Expected("next")) == [Start("next")]
    world.tell(WorkerReady("next", 60))
    assert not world.model("next").wanted


def test_an_expected_model_takes_memory_only_from_one_that_nobody_used_for_a_while():
    world = World(Model("a", 60), Model("next", 60))
    world.load("a")
    assert world.tell(Expected("next")) == []
    world.tick_to(3.0)
    assert world.tell(Expected("next")) == [Stop("a", "its memory is needed")]
    assert world.tell(WorkerStopped("a")) == [Start("next")]


def test_expecting_a_loaded_model_spares_it_from_what_is_expected_behind_it():
    world = World(Model("a", 60), Model("next", 60))
    world.load("a")
    world.tick_to(3.0)
    assert world.tell(Expected("a")) + world.tell(Expected("next")) == []


def test_an_expected_model_stands_behind_every_request_and_a_failed_one_is_not_forgiven():
    world = World(Model("a", 60), Model("b", 60), Model("next", 30), Model("bad", 1), crash_limit=1)
    world.load("a")
    world.tell(Asked(1, "a"))
    world.tell(Asked(2, "b"))
    assert world.tell(Expected("next")) == []
    world.tell(LoadAsked("bad"))
    world.tell(WorkerLost("bad", "broken"))
    assert world.tell(Expected("bad")) == []
    assert world.model("bad").phase == "failed"


@pytest.mark.parametrize("event", [Ended(9), WorkerReady("x", 1), WorkerLost("x", ""), UnloadAsked("x")])
def test_events_about_the_unknown_change_nothing(event):
    world = World(Model("a", 10))
    before = world.schedule
    assert world.tell(event) == []
    assert world.schedule == before


NAMES = ("a", "b", "c", "p")
moves = st.lists(
    st.one_of(
        st.tuples(
            st.just("ask"), st.sampled_from(NAMES), st.integers(0, 2), st.sampled_from([None, 1.0, 6.0])
        ),
        st.tuples(st.just("end"), st.integers(0, 60)),
        st.tuples(st.sampled_from(["ready", "lost", "stopped"]), st.integers(0, 3), st.integers(1, 70)),
        st.tuples(st.sampled_from(["load", "expect", "unload", "remove", "add"]), st.sampled_from(NAMES)),
        st.tuples(st.just("wait"), st.sampled_from([0.1, 1.0, 5.0, 61.0])),
        st.tuples(st.just("limits"), st.integers(40, 120)),
    ),
    max_size=60,
)
SIZES = {"a": 60, "b": 40, "c": 30, "p": 20}


def fresh(name):
    return Model(name, SIZES[name], slots=2, pinned=name == "p", keep_alive_s=7.0)


class Life:
    """Plays moves against the scheduler as a faithful manager would, and checks every decision."""

    def __init__(self):
        self.world = World(*(fresh(name) for name in NAMES), queue_size=6, crash_limit=3, patience_s=2.0)
        self.running = {}  # worker processes: name -> loading | ready | stopping
        self.over = set()
        self.asked = {}
        self.slots = {}

    def tell(self, event):
        before = self.world.schedule
        decisions = self.world.tell(event)
        if isinstance(event, WorkerReady):
            self.running[event.model] = "ready"
        elif isinstance(event, WorkerLost | WorkerStopped):
            self.running.pop(event.model, None)
            self.slots = {t: m for t, m in self.slots.items() if m != event.model}
        elif isinstance(event, Ended):
            self.slots.pop(event.ticket, None)
            self.over.add(event.ticket)
        for decision in decisions:
            self.check(before, decision)

    def check(self, before, decision):
        match decision:
            case Start(name):
                assert name not in self.running, "two workers for one model"
                self.running[name] = "loading"
                budget = self.world.schedule.limits.memory_bytes
                assert used_bytes(self.world.schedule.models.values()) <= max(
                    budget, used_bytes(before.models.values())
                )
            case Stop(name, why):
                assert self.running[name] == "ready"
                assert name not in self.slots.values(), "a busy model was stopped"
                if "memory" in why or "idle" in why:
                    assert name != "p", "a pinned model was evicted"
                self.running[name] = "stopping"
            case Admit(ticket, name):
                assert self.running[name] == "ready"
                assert ticket not in self.over
                assert ticket not in self.slots
                self.slots[ticket] = name
                assert sum(1 for model in self.slots.values() if model == name) <= 2
            case Refuse(ticket):
                assert ticket not in self.over, "answered twice"
                self.slots.pop(ticket, None)
                self.over.add(ticket)

    def play(self, move):
        kind, *rest = move
        if kind == "ask":
            name, priority, wait_s = rest
            ticket = len(self.asked)
            self.asked[ticket] = name
            deadline = None if wait_s is None else self.world.now_s + wait_s
            self.tell(Asked(ticket, name, priority, deadline))
        elif kind == "end" and rest[0] in self.asked and rest[0] not in self.over:
            self.tell(Ended(rest[0]))
        elif kind in ("ready", "lost", "stopped"):
            phases = {"ready": ("loading",), "lost": ("loading", "ready"), "stopped": ("stopping",)}[kind]
            names = sorted(name for name, phase in self.running.items() if phase in phases)
            if names:
                name = names[rest[0] % len(names)]
                made = {
                    "ready": WorkerReady(name, rest[1]),
                    "lost": WorkerLost(name, "x"),
                    "stopped": WorkerStopped(name),
                }
                self.tell(made[kind])
        elif kind == "load":
            self.tell(LoadAsked(rest[0]))
        elif kind == "expect":
            self.expect(rest[0])
        elif kind == "unload":
            self.tell(UnloadAsked(rest[0]))
        elif kind == "remove":
            self.tell(ModelRemoved(rest[0]))
        elif kind == "add":
            self.tell(ModelAdded(fresh(rest[0])))
        elif kind == "wait":
            self.world.now_s += rest[0]
            self.tell(Ticked())
        elif kind == "limits":
            self.tell(LimitsChanged(replace(self.world.schedule.limits, memory_bytes=rest[0])))
        self.invariants()

    def expect(self, name):
        """What is only expected takes nothing from a model that was used a moment ago."""
        before = self.world.schedule.models
        self.tell(Expected(name))
        for other, model in self.world.schedule.models.items():
            if other in before and before[other].phase == "ready" and model.phase == "stopping":
                idle_s = self.world.now_s - before[other].last_used_at_s
                assert idle_s >= self.world.schedule.limits.patience_s

    def invariants(self):
        schedule = self.world.schedule
        assert {w.ticket for w in schedule.waiting}.isdisjoint(schedule.serving)
        assert {w.ticket for w in schedule.waiting} | set(schedule.serving) == set(self.asked) - self.over
        assert list(schedule.waiting) == sorted(schedule.waiting, key=lambda w: w.order)
        assert sum(1 for w in schedule.waiting if not w.started) <= schedule.limits.queue_size
        assert set(schedule.serving) == set(self.slots)
        for name, phase in self.running.items():
            assert schedule.models[name].phase == phase
        for name, model in schedule.models.items():
            assert model.active == {t for t, m in self.slots.items() if m == name}

    def finish(self):
        """Let every worker do its duty and every answer end: nobody may be left waiting."""
        for _ in range(400):
            schedule = self.world.schedule
            if not schedule.waiting and not schedule.serving:
                return
            if schedule.serving:
                self.play(("end", min(schedule.serving)))
            elif any(phase == "loading" for phase in self.running.values()):
                self.play(("ready", 0, 20))
            elif any(phase == "stopping" for phase in self.running.values()):
                self.play(("stopped", 0, 1))
            else:
                moment = next_wakeup_s(schedule, self.world.now_s)
                assert moment is not None, f"nothing will ever happen to {schedule.waiting}"
                self.play(("wait", moment - self.world.now_s))
        raise AssertionError("requests were left over")


@given(moves)
@settings(max_examples=300, deadline=None)
def test_over_any_history_nothing_is_lost_doubled_oversubscribed_or_evicted_while_busy(history):
    life = Life()
    for move in history:
        life.play(move)
    life.finish()


@given(moves)
@settings(max_examples=50, deadline=None)
def test_it_forgets_nothing_between_events_a_replay_decides_the_same(history):
    one, two = Life(), Life()
    for move in history:
        one.play(move)
        two.play(move)
        assert one.world.schedule == two.world.schedule


@given(st.lists(st.integers(0, 3), min_size=1, max_size=30))
@settings(max_examples=100, deadline=None)
def test_equal_priorities_are_admitted_in_the_order_of_arrival(priorities):
    world = World(Model("a", 10, slots=1), queue_size=100)
    world.load("a")
    world.tell(Asked(-1, "a"))
    for ticket, priority in enumerate(priorities):
        world.tell(Asked(ticket, "a", priority))
    order, running = [], -1
    while decisions := world.tell(Ended(running)):
        running = decisions[0].ticket
        order.append((priorities[running], running))
    assert order == sorted(order)
