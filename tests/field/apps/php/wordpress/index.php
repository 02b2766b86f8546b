<?php
require __DIR__ . '/field.php';
header('Content-Type: text/html; charset=UTF-8');
header_remove('X-Powered-By');
$user = explode('|', (string) cookie_like('wordpress_logged_in_'))[0];
$author = cookie_like('comment_author_');
if ($user !== '') {
    header('Expires: Wed, 11 Jan 1984 05:00:00 GMT');
    header('Cache-Control: no-cache, must-revalidate, max-age=0, no-store, private');
}
$path = path();
if ($path === '/hello') { go_to('http://' . $_SERVER['HTTP_HOST'] . '/hello/', 301); exit; }
if (preg_match('#^/gone-#', $path)) {
    http_response_code(404);
    header('Expires: Wed, 11 Jan 1984 05:00:00 GMT');
    header('Cache-Control: no-cache, must-revalidate, max-age=0');
} else {
    header('Link: <http://' . $_SERVER['HTTP_HOST'] . '/wp-json/>; rel="https://api.w.org/"');
}
if ($path === '/wp-json/posts') {
    header('Content-Type: application/json; charset=UTF-8');
    header('X-Robots-Tag: noindex');
}
show_page($user ?: ($author ? "comments of $author" : 'nobody'));
