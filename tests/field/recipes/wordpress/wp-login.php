<?php
require __DIR__ . '/common.php';
never_cache();
if (($_GET['action'] ?? '') === 'logout') {
    foreach (['wordpress_logged_in', 'wordpress_sec', 'wordpress'] as $name) set($name, ' ', time() - 31536000);
    go('/wp-login.php?loggedout=true');
}
if ($_SERVER['REQUEST_METHOD'] === 'POST') {
    if (substr($_POST['log'], 0, 6) !== $_POST['pwd']) { http_response_code(403); exit; }
    foreach (['wordpress_sec', 'wordpress_logged_in'] as $name) set($name, $_POST['log'] . '|1999999999|' . bin2hex(random_bytes(16)));
    go('/');
}
setcookie('wordpress_test_cookie', 'WP Cookie check', 0, '/');
top();
echo "<form action=\"/wp-login.php\" method=\"post\"><input name=\"log\"><input name=\"pwd\"></form>\n";
