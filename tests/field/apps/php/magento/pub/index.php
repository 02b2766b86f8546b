<?php
require __DIR__ . '/../field.php';
header_remove('X-Powered-By');
header('Content-Type: text/html; charset=UTF-8');
header('X-Content-Type-Options: nosniff');
$path = path();
$group = cookie_like('X-Magento-Vary') ?? 'general';
if ($_SERVER['REQUEST_METHOD'] === 'POST') {
    changed();
    header('Cache-Control: no-store, no-cache, must-revalidate, max-age=0');
    header('Set-Cookie: PHPSESSID=s1; path=/; HttpOnly', false);
    if ($path === '/graphql') { header('Content-Type: application/json'); echo '{"data":{}}'; exit; }
    go_to('/checkout/cart/');
    exit;
}
if (preg_match('#^/(checkout|customer|admin_x1|catalogsearch)#', $path)) {
    header('Pragma: no-cache');
    header('Cache-Control: max-age=0, must-revalidate, no-cache, no-store');
    header('Set-Cookie: PHPSESSID=s1; path=/; HttpOnly', false);
    if ($path === '/customer/account/' && cookie_like('PHPSESSID') === null) { go_to('/customer/account/login/'); exit; }
    show_page(cookie_like('PHPSESSID') ?? 'nobody', 'private');
    exit;
}
header('Cache-Control: public, max-age=86400, s-maxage=86400');
header('X-Magento-Cache-Control: max-age=86400, public, s-maxage=86400');
header('X-Magento-Tags: cat_p_1,store');
if ($path === '/no-route') http_response_code(404);
if ($path === '/old-product.html') { go_to('/product.html', 301); exit; }
show_page("group $group");
