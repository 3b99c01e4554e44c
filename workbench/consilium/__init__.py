"""Consilium: several roles answer a task, criticise each other, and a director decides.

    from workbench.consilium.debate import Consilium
    from workbench.consilium.routing import route

    consilium = Consilium(BackendChat(backend=backend), folder, tracer, settings)
    debate = consilium.run(task, roles=route(task).roles)
    print(debate.decision.text, debate.dissent, debate.decision.director.said)

Nothing leaves the machine unless the call says `director="cloud"`.
"""
