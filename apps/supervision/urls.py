from django.urls import path

from apps.supervision import views

urlpatterns = [
    path("episodes/<uuid:episode_id>/support/", views.write_support, name="write_support"),
    path("meetings/plan/", views.plan_meeting, name="plan_meeting"),
    path("meetings/<uuid:meeting_id>/send/", views.send_agenda, name="send_agenda"),
    path("meetings/<uuid:meeting_id>/decide/", views.decide, name="decide"),
    path("decisions/<uuid:decision_id>/done/", views.mark_decision_done, name="mark_decision_done"),
]
