from django.urls import path

from apps.endings import views
from apps.endings.handover_views import hand_over

urlpatterns = [
    path("practice/people/<uuid:member_id>/hand-over/", hand_over, name="hand_over"),
    path("account/offer/", views.offer, name="offer"),
    path("clients/ended/", views.ended_treatments, name="ended_treatments"),
    path("clients/ended/<uuid:ending_id>/reopen/", views.reopen, name="reopen_treatment"),
    path("clients/<uuid:client_id>/move/", views.move_client, name="move_client"),
]
