<?php
// A stand-in of WordPress: its cookies with a hash in their names, its headers, its ways of purging; posts lie in a file.
const HASH = 'd41d8cd98f00b204e9800998ecf8427e';

file_put_contents(getenv('WP_DIR') . '/asked', ($_SERVER['HTTP_X_STEP'] ?? '-') . "\n", FILE_APPEND | LOCK_EX);
header_remove('X-Powered-By');
header('Content-Type: text/html; charset=UTF-8');

function posts() {
    $file = getenv('WP_DIR') . '/posts.json';
    if (is_file($file)) return json_decode(file_get_contents($file), true);
    $posts = [];
    for ($n = 1; $n <= 40; $n++) $posts[$n] = ['title' => "Article $n", 'comments' => []];
    return $posts;
}

function save($posts) { file_put_contents(getenv('WP_DIR') . '/posts.json', json_encode($posts), LOCK_EX); }

// As the plugin nginx-helper does, by GET /purge/<uri>.
function purge(...$paths) {
    if (getenv('WP_PURGE') === 'nobody') return;
    foreach ($paths as $path) {
        $context = stream_context_create(['http' => ['header' => 'Host: ' . $_SERVER['HTTP_HOST'], 'ignore_errors' => true]]);
        file_get_contents("http://" . getenv('WP_PURGE') . "/purge$path", false, $context);
    }
}

function never_cache() {
    header('Expires: Wed, 11 Jan 1984 05:00:00 GMT');
    header('Cache-Control: no-cache, must-revalidate, max-age=0');
}

function cookie($name) { return $_COOKIE[$name . '_' . HASH] ?? ''; }

function user() { return explode('|', cookie('wordpress_logged_in'))[0]; }

function set($name, $value, $expires = 0) { setcookie($name . '_' . HASH, $value, $expires, '/', '', false, true); }

function go($to) { header("Location: $to", true, 302); exit; }

function top() {
    $user = htmlspecialchars(user());
    echo "<!doctype html>\n<html lang=\"en-US\"><title>Blog</title>\n";
    if ($user !== '') echo "<div id=\"wpadminbar\">Howdy, <span class=\"display-name\">$user</span></div>\n";
    echo "<ul>";
}
