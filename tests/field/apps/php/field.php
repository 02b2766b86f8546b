<?php
// What the stand-ins share: a site's version and the list of its requests lie in files; a page says for whom it was made.
function state_file($name) { return $_SERVER['FIELD_STATE'] . '/' . $name; }

function version() { return (int) @file_get_contents(state_file('version')) ?: 1; }

function changed() { file_put_contents(state_file('version'), version() + 1, LOCK_EX); }

function log_request() {
    file_put_contents(state_file('log'), 'app ' . $_SERVER['REQUEST_METHOD'] . ' ' . $_SERVER['REQUEST_URI'] . "\n", FILE_APPEND | LOCK_EX);
}

function show_page($user = 'nobody', $text = '') {
    $filler = str_repeat("<p>It was a dark and stormy night; the rain fell in torrents, except at occasional intervals.</p>\n", 20);
    echo '<html>GET ', $_SERVER['REQUEST_URI'], ' host=', $_SERVER['HTTP_HOST'], ' script=', basename($_SERVER['SCRIPT_NAME']),
        " user=$user $text\n[[version ", version(), "]]\n", $filler, "</html>\n";
}

function path() { return rawurldecode(explode('?', $_SERVER['REQUEST_URI'])[0]); }

function go_to($url, $status = 302) { header("Location: $url", true, $status); }

// The cookie whose name begins so, or null.
function cookie_like($prefix) {
    foreach ($_COOKIE as $name => $value) {
        if (strncmp($name, $prefix, strlen($prefix)) === 0) return $value;
    }
    return null;
}
log_request();
