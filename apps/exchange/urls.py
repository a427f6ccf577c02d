from django.urls import path

from apps.exchange import views

urlpatterns = [
    path("diary/calendar/", views.calendar, name="calendar"),
    path("diary/calendar/close/", views.close_calendar, name="close_calendar"),
    path("calendar/<str:calendar_token>/rapport.ics", views.calendar_file, name="calendar_file"),
]
