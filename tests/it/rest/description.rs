//! The OpenAPI document: it lists every route, and each answers as it says.

use super::world::World;

#[test]
fn the_description_lists_every_route_and_each_answers_as_described() {
    let world = World::filled();
    let document = world.get("/openapi.json").json();
    let paths = document["paths"].as_object().unwrap();
    let mut listed: Vec<&str> = paths.keys().map(String::as_str).collect();
    listed.sort_unstable();
    let mut expected = vec!["/", "/health", "/health/live", "/health/ready"];
    expected.extend([
        "/api/v1/symbols",
        "/api/v1/symbols/{symbol}",
        "/api/v1/latest",
        "/api/v1/latest/{symbol}",
        "/api/v1/ticks/{symbol}",
    ]);
    expected.extend(["/api/v1/aggregated/{symbol}", "/api/v1/indicators/{symbol}", "/api/v1/dead-letters"]);
    expected.extend(["/api/v1/anomalies", "/api/v1/alerts", "/api/v1/predictions/{symbol}"]);
    expected.extend(["/api/v1/alerts/incidents", "/api/v1/alerts/incidents/acknowledge"]);
    expected.extend(["/api/v1/alerts/silences", "/api/v1/alerts/silences/{id}"]);
    expected.extend(["/api/v1/detection", "/api/v1/rules", "/api/v1/rules/{name}", "/api/v1/rules/test"]);
    expected.extend(["/api/v1/metrics/latency", "/api/v1/metrics/throughput"]);
    expected.extend(["/api/v1/metrics/kafka", "/api/v1/metrics/ledger"]);
    expected.sort_unstable();
    assert_eq!(listed, expected);
    for (path, item) in paths.iter().filter(|(_, item)| item["get"].is_object()) {
        let asked = path.replace("{symbol}", "BTC-USD");
        let asked = if path == "/api/v1/latest" { format!("{asked}?symbols=*") } else { asked };
        let answer = world.get(&asked);
        assert_eq!(answer.status, 200, "{path}");
        let schema = &item["get"]["responses"]["200"]["content"]["application/json"]["schema"];
        check(&document, schema, &answer.json(), path);
    }
    for (path, item) in paths {
        for (method, operation) in item.as_object().unwrap() {
            for status in ["403", "405", "413", "500", "503"] {
                assert!(operation["responses"][status].is_object(), "{method} {path} may answer {status}");
            }
        }
    }
    let ready = &document["paths"]["/health/ready"]["get"]["responses"]["503"]["content"];
    assert!(ready["application/json"].is_object(), "readiness says no in its own form: {ready}");

    let indicators = &document["paths"]["/api/v1/indicators/{symbol}"]["get"]["responses"]["200"];
    let series = world.get("/api/v1/indicators/BTC-USD?limit=2").json();
    check(&document, &indicators["content"]["application/json"]["schema"], &series, "series");

    let problem = &document["paths"]["/api/v1/latest/{symbol}"]["get"]["responses"]["404"]["content"];
    let schema = &problem["application/problem+json"]["schema"];
    check(&document, schema, &world.get("/api/v1/latest/NOPE").json(), "problem");

    assert_eq!(world.get("/docs").status, 200, "the client follows to the page");
    assert!(world.get("/docs/").text().contains("swagger"));
    assert!(world.get("/docs/swagger-initializer.js").text().contains("/openapi.json"));
}

/// Checks that a value is as its schema says: type, required fields, no field that the schema does not know.
fn check(document: &serde_json::Value, schema: &serde_json::Value, value: &serde_json::Value, at: &str) {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap();
        let schema = &document["components"]["schemas"][name];
        assert!(schema.is_object(), "{at}: `{name}` is not described");
        return check(document, schema, value, at);
    }
    if let Some(forms) = schema["oneOf"].as_array() {
        let wanted = if value.is_array() { "array" } else { "object" };
        let resolve = |form: &serde_json::Value| match form["$ref"].as_str() {
            Some(reference) => {
                document.pointer(reference.trim_start_matches('#')).cloned().unwrap_or_default()
            }
            None => form.clone(),
        };
        let forms: Vec<serde_json::Value> = forms.iter().map(resolve).collect();
        let form = forms.iter().find(|form| form["type"] == wanted);
        return check(document, form.unwrap_or_else(|| panic!("{at}: no form is {wanted}")), value, at);
    }
    let types: Vec<&str> = match &schema["type"] {
        serde_json::Value::Array(types) => types.iter().filter_map(|name| name.as_str()).collect(),
        name => name.as_str().into_iter().collect(),
    };
    let is = match value {
        serde_json::Value::Null => "null",
        serde_json::Value::Bool(_) => "boolean",
        serde_json::Value::Number(number) if number.is_f64() => "number",
        serde_json::Value::Number(_) => "integer",
        serde_json::Value::String(_) => "string",
        serde_json::Value::Array(_) => "array",
        serde_json::Value::Object(_) => "object",
    };
    let fits = types.contains(&is) || (is == "integer" && types.contains(&"number"));
    assert!(fits, "{at}: {value} is no {types:?}");
    match value {
        serde_json::Value::Array(rows) => {
            rows.iter().for_each(|row| check(document, &schema["items"], row, at));
        }
        // An object of which nothing is said may have any fields.
        serde_json::Value::Object(_)
            if schema["properties"].is_null() && schema["additionalProperties"].is_null() => {}
        serde_json::Value::Object(fields) => {
            for (name, field) in fields {
                let known = &schema["properties"][name];
                let schema = if known.is_null() { &schema["additionalProperties"] } else { known };
                check(document, schema, field, &format!("{at}.{name}"));
            }
            for name in schema["required"].as_array().into_iter().flatten() {
                assert!(fields.contains_key(name.as_str().unwrap()), "{at}: {name} is missing");
            }
        }
        _ => {}
    }
}
