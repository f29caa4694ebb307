"""Routes, rules, policies and the simulator in the API's document: one Call per method."""

from messaging.views import routing_answers as answers
from messaging.views.routing_shapes import (
    PolicyChangesShape,
    PolicyShape,
    RouteChangesShape,
    RouteCheckShape,
    RouteShape,
    RuleSetShape,
    SimulationShape,
)
from sendarix.accounts.calls import Call

_AT_ONCE = " It takes effect within a second, everywhere."

LIST_ROUTES = Call(
    name="listRoutes",
    summary="List routes",
    about="The account's own and, to read, the platform's; newest first. Live and test keys see the same routes; mail of test"
    " keys takes none of them.",
    answer=answers.RoutePage,
)
CREATE_ROUTE = Call(
    name="createRoute",
    summary="Add a route",
    about="Without routing rules, mail is shared among the account's routes by weight and health." + _AT_ONCE,
    body=RouteShape,
    answer=answers.Route,
    status=201,
    refusals=(409,),
    body_example={
        "name": "backup",
        "kind": "smtp",
        "options": {"host": "smtp.example.net", "port": 587, "tls": "required", "username": "acme", "password": "…"},
        "per_minute": 600,
        "warmup": {"starts_on": "2026-04-19", "daily": [500, 1000, 2000, 4000]},
    },
)
GET_ROUTE = Call(name="getRoute", summary="Read a route", answer=answers.Route)
CHANGE_ROUTE = Call(
    name="changeRoute",
    summary="Change a route",
    about="What is not given stays; a secret has to be said again when you change where it goes." + _AT_ONCE,
    body=RouteChangesShape,
    answer=answers.Route,
    refusals=(409,),
    body_example={"enabled": False},
)
REMOVE_ROUTE = Call(
    name="removeRoute",
    summary="Remove a route",
    about="Not while the published rules name it.",
    answer=answers.Removed,
    refusals=(409,),
)
CHECK_ROUTE = Call(
    name="checkRoute",
    summary="Make a test call by a route",
    about="Connects, greets, encrypts and logs in as a mail would, and sends nothing. Takes up to half a minute. For a provider"
    " it only looks whether the settings are complete.",
    body=RouteCheckShape,
    answer=answers.RouteCheck,
    body_example={},
)
ROUTE_HISTORY = Call(
    name="listRouteHistory",
    summary="List changes of a route's circuit breakers",
    about="Newest first. Of a route of the platform's, those to the big providers only.",
    answer=answers.RouteHistory,
)
ROUTE_HEALTH = Call(
    name="getRouteHealth",
    summary="Read a route's health",
    about="What is known lately of each destination, and today's use. Of a route of the platform's, the big providers only.",
    answer=answers.RouteHealth,
)
GET_RULES = Call(
    name="getRoutingRules",
    summary="Read the routing rules",
    about="The published version; version 0 without rules when there is none.",
    answer=answers.RuleSet,
)
PUT_RULES = Call(
    name="putRoutingRules",
    summary="Make the next version of the routing rules",
    about="The whole ordered list at once; the first rule that holds decides. A rule sent with its id keeps it."
    + _AT_ONCE,
    body=RuleSetShape,
    answer=answers.RuleSet,
    refusals=(409,),
    body_example={
        "rules": [
            {
                "name": "codes to Naver by the second provider",
                "when": {"providers": ["naver"], "tiers": ["critical"]},
                "then": {"routes": [{"route": "rte_01kpk3p5gz8v6c2m9x4t7q0rde"}]},
            }
        ],
        "note": "Naver defers us on the first one",
    },
)
LIST_VERSIONS = Call(
    name="listRoutingRuleVersions",
    summary="List versions of the routing rules",
    about="Newest first.",
    answer=answers.RuleSetPage,
)
GET_VERSION = Call(
    name="getRoutingRuleVersion",
    summary="Read a version of the routing rules",
    about="With what it changed, and what publishing it would change.",
    answer=answers.RuleSetDetail,
)
PUBLISH_VERSION = Call(
    name="publishRoutingRules",
    summary="Publish a version of the routing rules",
    about="A newer one, or an older one: the roll-back." + _AT_ONCE,
    answer=answers.RuleSet,
)
LIST_POLICIES = Call(
    name="listDeliveryPolicies",
    summary="List delivery policies",
    about="By position: the first whose conditions hold applies, the account's before the platform's.",
    answer=answers.DeliveryPolicyPage,
)
CREATE_POLICY = Call(
    name="createDeliveryPolicy",
    summary="Add a delivery policy",
    about=_AT_ONCE.strip(),
    body=PolicyShape,
    answer=answers.DeliveryPolicy,
    status=201,
    refusals=(409,),
    body_example={
        "name": "codes",
        "when": {"tiers": ["critical"]},
        "retry_ladder": [5, 15, 30, 60],
        "ttl_seconds": 600,
    },
)
GET_POLICY = Call(name="getDeliveryPolicy", summary="Read a delivery policy", answer=answers.DeliveryPolicy)
DEFAULT_POLICY = Call(
    name="getDefaultDeliveryPolicy",
    summary="Read the default delivery policy",
    about="What holds where no policy says otherwise.",
    answer=answers.AppliedPolicy,
)
CHANGE_POLICY = Call(
    name="changeDeliveryPolicy",
    summary="Change a delivery policy",
    about="What is not given stays. Messages that wait follow it from their next try on." + _AT_ONCE,
    body=PolicyChangesShape,
    answer=answers.DeliveryPolicy,
    body_example={"retry_ladder": [5, 15, 30, 60, 300]},
)
REMOVE_POLICY = Call(name="removeDeliveryPolicy", summary="Remove a delivery policy", answer=answers.Removed)
SIMULATE = Call(
    name="simulateRouting",
    summary="Ask where a message would go",
    about="For one of your messages or for one made up: the rule that decides and those passed before it, each candidate with its"
    " score or what bars it, the state of the limits, and the delivery policy. Nothing is stored or sent.",
    body=SimulationShape,
    refusals=(404,),
    answer=answers.Simulation,
    body_example={"recipient": "kim@naver.com", "priority": "critical", "template": "otp-code"},
)
