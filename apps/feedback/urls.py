from django.urls import path, re_path

from apps.feedback import (
    client_views,
    correct_views,
    details_views,
    quick_log,
    room_views,
    views,
)

urlpatterns = [
    path("sessions/log/", views.log_session, name="log_session"),
    path("sessions/<uuid:session_id>/quick/", quick_log.quick_log, name="quick_log"),
    path("sessions/<uuid:logged_id>/undo/", quick_log.undo_log, name="undo_log"),
    path("clients/<uuid:client_id>/details/", details_views.change_client, name="change_client"),
    path("clients/<uuid:client_id>/pause/", details_views.pause_asking, name="pause_asking"),
    path("clients/<uuid:client_id>/resume/", details_views.end_pause, name="end_pause"),
    path(
        "clients/<uuid:client_id>/consent/", details_views.confirm_consent, name="confirm_consent"
    ),
    path("clients/<uuid:client_id>/plan/", correct_views.plan_sessions, name="plan_sessions"),
    path("sessions/<uuid:session_id>/move/", correct_views.move_session, name="move_session"),
    path("sessions/<uuid:session_id>/cancel/", correct_views.cancel_session, name="cancel_session"),
    path(
        "sessions/<uuid:logged_id>/correct/", correct_views.correct_session, name="correct_session"
    ),
    path("sessions/<uuid:logged_id>/room/", room_views.in_room, name="in_room"),
    path(
        "sessions/<uuid:logged_id>/hand-over/",
        room_views.hand_over_device,
        name="hand_over_device",
    ),
    path("sessions/<uuid:logged_id>/send/", room_views.send_instead, name="send_instead"),
    path("sessions/<uuid:logged_id>/paper/", room_views.paper, name="paper"),
    path("f/<str:token>/", client_views.feedback_form, name="feedback_form"),
    path("f/<str:token>/thanks/", client_views.feedback_thanks, name="feedback_thanks"),
    path("f/<str:token>/fresh/", client_views.feedback_fresh, name="feedback_fresh"),
    path("f/<str:token>/stop/", client_views.feedback_stop, name="feedback_stop"),
    re_path(r"^f/(?:[\s\S]*/)?\Z", client_views.unknown_link, name="unknown_link"),
]
