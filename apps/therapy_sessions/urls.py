from django.urls import path

from apps.therapy_sessions import note_views, views

urlpatterns = [
    path("clients/add/", views.add_client, name="add_client"),
    path("sessions/<uuid:session_id>/note/", note_views.process_note, name="process_note"),
]
