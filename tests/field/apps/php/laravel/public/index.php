<?php
require __DIR__ . '/../field.php';
header_remove('X-Powered-By');
header('Content-Type: text/html; charset=UTF-8');
$path = path();
$user = cookie_like('laravel_session');
$api = strncmp($path, '/api/', 5) === 0;
if ($api) {
    header('Content-Type: application/json');
    $token = $_SERVER['HTTP_AUTHORIZATION'] ?? '';
    if ($path === '/api/me') {
        header('Cache-Control: no-cache, private');
        if ($token === '') { http_response_code(401); echo '{"message":"Unauthenticated."}'; exit; }
        echo json_encode(['user' => $token]);
        exit;
    }
    header('Cache-Control: public, max-age=60');
    echo json_encode(['path' => $_SERVER['REQUEST_URI'], 'token' => $token, 'version' => '[[version ' . version() . ']]', 'x' => str_repeat('y', 1500)]);
    exit;
}
if ($_SERVER['REQUEST_METHOD'] === 'POST' || $_SERVER['REQUEST_METHOD'] === 'DELETE') {
    header('Cache-Control: no-cache, private');
    if (!isset($_COOKIE['XSRF-TOKEN'])) { http_response_code(419); echo "Page Expired\n"; exit; }
    changed();
    header('Set-Cookie: laravel_session=' . ($user ?? 'new') . '; path=/; HttpOnly', false);
    go_to($path);
    exit;
}
if ($path === '/dashboard' || $path === '/dashboard/stats') {
    header('Cache-Control: no-cache, private');
    if ($user === null) { go_to('/login'); exit; }
    show_page($user, 'dashboard');
    exit;
}
if ($path === '/login') {
    header('Cache-Control: no-cache, private');
    header('Set-Cookie: XSRF-TOKEN=t1; path=/', false);
    header('Set-Cookie: laravel_session=new; path=/; HttpOnly', false);
    show_page('nobody', 'log in');
    exit;
}
if (preg_match('#^/posts/\d+$#', $path) || $path === '/' || $path === '/posts') {
    header('Cache-Control: max-age=120, public');
} elseif ($path === '/home') {
    header('Cache-Control: max-age=120, public');
    go_to('/', 301);
    exit;
} else {
    http_response_code(404);
    header('Cache-Control: no-cache, private');
}
show_page($user ?? 'nobody');
