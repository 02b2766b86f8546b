from slab_cache import add_tags


def reader_tags(get_response):
    """A page that was made for somebody who is logged in carries his tag: signals.py purges by it what he sees."""

    def middleware(request):
        response = get_response(request)
        # Looking at request.user would make every page vary on the cookie; only those that looked already do.
        if request.session.accessed and request.user.is_authenticated:
            add_tags(f"user-{request.user.pk}")
        return response

    return middleware
