<?php
// A search of PHP: what its parameters are is PHP's own reading of the query.
header("Content-Type: application/json");
echo json_encode(["served" => isset($_GET["birth_date"]) ? "birth_date" : "all"]);
