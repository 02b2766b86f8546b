<?php
require __DIR__ . '/field.php';
header_remove('X-Powered-By');
header('Content-Type: text/html; charset=UTF-8');
header('X-Generator: Drupal 10 (https://www.drupal.org)');
$user = cookie_like('SSESS') ?? cookie_like('SESS');
$path = path();
$private = $user !== null || $_SERVER['REQUEST_METHOD'] === 'POST';
header('Vary: Cookie');
header('Expires: Sun, 19 Nov 1978 05:00:00 GMT');
header('Cache-Control: ' . ($private ? 'must-revalidate, no-cache, private' : 'max-age=900, public'));
if (!$private) header('X-Drupal-Cache: MISS');
if (preg_match('#^/system/files/(.*)$#', $path, $m)) {
    if ($user === null) { http_response_code(403); show_page('nobody', 'access denied'); exit; }
    header('Content-Type: application/pdf');
    header('Content-Disposition: attachment; filename=' . basename($m[1]));
    header('Cache-Control: private');
    header('X-Accel-Redirect: /private/' . $m[1]);
    exit;
}
if (preg_match('#^/sites/default/files/styles/(.*)$#', $path, $m)) {
    header('Content-Type: image/jpeg');
    echo "derivative of {$m[1]}\n", str_repeat('x', 2000);
    exit;
}
if (strncmp($path, '/admin', 6) === 0 && $user === null) { http_response_code(403); show_page('nobody', 'access denied'); exit; }
if ($_SERVER['REQUEST_METHOD'] === 'POST') {
    changed();
    if ($path === '/user/login') header('Set-Cookie: SESS49960de5880e8c687434170f6476605b=alice; path=/; HttpOnly');
    go_to($path === '/user/login' ? '/user/1' : $path, 303);
    exit;
}
if ($path === '/missing') http_response_code(404);
if (preg_match('#^/node/(\d+)$#', $path, $m)) header("Surrogate-Key: node:$m[1] node_list http_response");
else header('Surrogate-Key: node_list http_response');
if ($path === '/old') { go_to('/node/1', 301); exit; }
show_page($user ?? 'nobody');
