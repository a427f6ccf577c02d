from django.urls import path

from apps.dashboard import (
    brief_views,
    delivery_views,
    diary_views,
    ending_views,
    meeting_views,
    repair_views,
    rule_views,
    views,
    who_looked_views,
)

urlpatterns = [
    path("", views.home, name="home"),
    path("help/", views.help_sheet, name="help"),
    path("caseload/", views.caseload, name="caseload"),
    path("diary/", diary_views.diary, name="diary"),
    path("clients/<uuid:client_id>/", views.client, name="client"),
    path("clients/<uuid:client_id>/brief/", brief_views.brief, name="brief"),
    path("clients/<uuid:client_id>/who-looked/", who_looked_views.who_looked, name="who_looked"),
    path("clients/<uuid:client_id>/close/", ending_views.close_treatment, name="close_treatment"),
    path("clients/<uuid:client_id>/passed-on/", ending_views.passed_on, name="passed_on"),
    path("day-sheet/", brief_views.day_sheet, name="day_sheet"),
    path("episodes/<uuid:episode_id>/repair/", repair_views.repair, name="repair"),
    path("episodes/<uuid:episode_id>/outcome/", repair_views.record_outcome, name="record_outcome"),
    path("supervision/", views.supervision, name="supervision"),
    path("supervision/<uuid:episode_id>/", views.supervised_episode, name="supervised_episode"),
    path("meetings/", meeting_views.meetings, name="meetings"),
    path("meetings/<uuid:meeting_id>/", meeting_views.meeting, name="meeting"),
    path("practice/", views.practice, name="practice"),
    path("practice/overview/", views.practice_overview, name="practice_overview"),
    path("practice/rules/", rule_views.rules, name="rules"),
    path("practice/rules/norms/", rule_views.propose_norms, name="propose_norms"),
    path("practice/rules/decide/", rule_views.decide_rule, name="decide_rule"),
    path("practice/delivery/", delivery_views.delivery, name="delivery"),
    path("caseload/delivery/", delivery_views.own_delivery, name="own_delivery"),
]
