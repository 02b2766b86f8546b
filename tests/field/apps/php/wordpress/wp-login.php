<?php
require __DIR__ . '/field.php';
header_remove('X-Powered-By');
header('Expires: Wed, 11 Jan 1984 05:00:00 GMT');
header('Cache-Control: no-cache, must-revalidate, max-age=0');
if ($_SERVER['REQUEST_METHOD'] === 'POST') {
    header('Set-Cookie: wordpress_logged_in_5c0d=' . ($_POST['log'] ?? '') . '%7Csecret; path=/; HttpOnly', false);
    go_to('/wp-admin/');
    exit;
}
header('Set-Cookie: wordpress_test_cookie=WP%20Cookie%20check; path=/', false);
show_page('nobody', 'please log in');
