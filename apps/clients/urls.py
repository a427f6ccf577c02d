from django.urls import path

from apps.clients.handover_views import hand_over

urlpatterns = [
    path("practice/people/<uuid:member_id>/hand-over/", hand_over, name="hand_over"),
]
