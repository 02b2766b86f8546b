<?php
require __DIR__ . '/common.php';
$path = explode('?', $_SERVER['REQUEST_URI'])[0];
$posts = posts();
if (preg_match('#^/(?:page/(\d+)/)?$#', $path, $m)) {
    top();
    $first = 40 - 10 * (($m[1] ?? 1) - 1);
    for ($n = $first; $n > $first - 10; $n--) echo "<li><a href=\"/article-$n/\">", $posts[$n]['title'], '</a>';
    exit("</ul>\n");
}
if (!preg_match('#^/article-(\d+)/$#', $path, $m) || !isset($posts[$m[1]])) {
    http_response_code(404);
    never_cache();
    top();
    exit("<h1>Not found</h1>\n");
}
top();
$post = $posts[$m[1]];
echo "<h1>{$post['title']}</h1>", str_repeat("<p>Text {$m[1]}.</p>\n", 100);
foreach ($post['comments'] as [$name, $text]) {
    echo '<blockquote>', htmlspecialchars($name), ': ', htmlspecialchars($text), "</blockquote>\n";
}
// Who has commented finds his name and address in the form.
echo "<form action=\"/wp-comments-post.php\" method=\"post\"><textarea name=\"comment\"></textarea>";
if (user() === '') {
    foreach (['author' => 'comment_author', 'email' => 'comment_author_email'] as $field => $name) {
        echo "<input name=\"$field\" value=\"", htmlspecialchars(cookie($name)), '">';
    }
    echo '<input type="checkbox" name="wp-comment-cookies-consent" value="yes">';
}
echo "<input type=\"hidden\" name=\"comment_post_ID\" value=\"{$m[1]}\"></form>\n";
