from django.urls import path

from apps.ruptures import views

urlpatterns = [
    path("episodes/<uuid:episode_id>/acknowledge/", views.acknowledge, name="acknowledge_episode"),
    path("episodes/<uuid:episode_id>/share/", views.share, name="share_episode"),
    path("episodes/<uuid:episode_id>/sharing/", views.set_sharing, name="set_sharing"),
    path("episodes/<uuid:episode_id>/causes/", views.set_causes, name="set_causes"),
]
