using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Godwit.ControlPlane.Tests.Host;

/// <summary>An operation of the OpenAPI document.</summary>
/// <param name="Method">For example "POST".</param>
/// <param name="Path">With its parameters in braces.</param>
/// <param name="Answers">Statuses of success.</param>
/// <param name="Query">Names of its query parameters.</param>
/// <param name="Body">Schema of its body, or null.</param>
internal sealed record ApiOperation(string Method, string Path, IReadOnlyList<int> Answers, IReadOnlyList<string> Query, JsonElement? Body);

/// <summary>Makes up requests: mostly of the right shape, with values that hurt.</summary>
internal sealed class RequestSource
{
    private static readonly string[] Names = ["vm", "off", "disk0", "disk1", "monday", "new"];

    private static readonly string[] Texts =
    [
        "", " ", ".", "..", "../../etc/passwd", "/", "/etc/shadow", "/src/../etc/x", "/src/vm0.vhdx", "/src/new.vhdx", "/dst/x", "/denied/x", "/proc/self/mem",
        "a,b=c", "x,file=/etc/passwd", "-drive", "--help", "disk0\n", "a\r\nSet-Cookie: x", "a\tb", "ä ö 漢", "\u202Eevil", "a\0b", "%00", "%2e%2e%2f", "{", "]", "\"",
        "'; DROP TABLE vms; --", "$(reboot)", "`id`", "vm\u0000", "NUL", "C:\\x\\y.vhdx", "\\\\server\\share", "1", "-1", "true", "null",
        new('a', 100), new('b', 101), new('c', 5000), "99999999999999999999", "2026-01-01T00:00:00Z", "11111111-1111-1111-1111-111111111111",
    ];

    private static readonly JsonNode?[] Numbers = [0, 1, -1, 2, 64, 512, 65536, 1 << 20, 67108864, int.MaxValue, int.MinValue, long.MaxValue, long.MinValue, 0.5, 1e300, 1_000_000_007];

    private readonly JsonElement _schemas;
    private readonly Random _random;

    public RequestSource(JsonElement document, Random random)
    {
        _random = random;
        _schemas = document.GetProperty("components").GetProperty("schemas");
        Operations = [.. document.GetProperty("paths").EnumerateObject().SelectMany(path => path.Value.EnumerateObject().Select(one => Read(path.Name, one)))];
    }

    public IReadOnlyList<ApiOperation> Operations { get; }

    /// <summary>The next request for an operation: its path with query, and its body.</summary>
    public (string Path, string? Body) Next(ApiOperation operation)
    {
        var path = new StringBuilder();
        foreach (var part in operation.Path.Split('/').Skip(1))
            path.Append('/').Append(part.StartsWith('{') ? PathPart(operation) : part);
        var query = operation.Query.Where(_ => _random.Next(2) == 0).Select(name => $"{name}={Uri.EscapeDataString(Text())}").ToList();
        if (query.Count > 0)
            path.Append('?').AppendJoin('&', query);
        return (path.ToString(), operation.Body is { } schema && _random.Next(20) != 0 ? Body(schema) : null);
    }

    private string PathPart(ApiOperation operation)
    {
        // One VM stays under its name, or soon there would be nothing left to ask for.
        if (operation is { Method: "DELETE", Path: "/v1/vms/{name}" } or { Path: "/v1/vms/{name}/rename" } && _random.Next(11) != 0)
            return _random.Next(2) == 0 ? "off" : "new";
        // Ten of eleven times a name that is there: what lies behind the first check is what matters.
        if (_random.Next(11) != 0)
            return _random.Next(6) == 0 ? Guid.NewGuid().ToString() : _random.Next(2) == 0 ? "vm" : Names[_random.Next(Names.Length)];
        var text = Uri.EscapeDataString(Text());
        return text is "" or "." or ".." ? "%2E%2E" : text.Length > 2000 ? text[..2000] : text;
    }

    private string Text() => _random.Next(3) == 0 ? Names[_random.Next(Names.Length)] : Texts[_random.Next(Texts.Length)];

    private string Body(JsonElement schema)
    {
        var text = Value(schema, 0)?.ToJsonString() ?? "null";
        return _random.Next(30) switch
        {
            0 => text[..(text.Length / 2)],
            1 => text + text,
            2 => "[" + text + "]",
            3 => new string('[', 200),
            _ => text,
        };
    }

    private JsonNode? Value(JsonElement schema, int depth)
    {
        if (depth > 6 || _random.Next(60) == 0)
            return Wild();
        if (schema.TryGetProperty("$ref", out var reference))
            return Value(_schemas.GetProperty(reference.GetString()!.Split('/')[^1]), depth + 1);
        if (schema.TryGetProperty("oneOf", out var choices))
            return Value(choices[_random.Next(choices.GetArrayLength())], depth + 1);
        if (schema.TryGetProperty("enum", out var words))
            return JsonNode.Parse(words[_random.Next(words.GetArrayLength())].GetRawText());
        return TypeOf(schema) switch
        {
            "null" => null,
            "boolean" => _random.Next(2) == 0,
            "integer" or "number" => Numbers[_random.Next(Numbers.Length)]?.DeepClone(),
            "array" => new JsonArray([.. Enumerable.Range(0, _random.Next(4)).Select(_ => _random.Next(12) == 0 ? null : Value(schema.GetProperty("items"), depth + 1))]),
            "object" => Object(schema, depth),
            _ => Text(),
        };
    }

    private JsonObject Object(JsonElement schema, int depth)
    {
        var made = new JsonObject();
        if (schema.TryGetProperty("properties", out var properties))
        {
            foreach (var property in properties.EnumerateObject().Where(_ => _random.Next(5) != 0))
                made[property.Name] = Value(property.Value, depth + 1);
        }

        if (_random.Next(20) == 0)
            made["surplus"] = Wild();
        return made;
    }

    private JsonNode? Wild() => _random.Next(6) switch
    {
        0 => null,
        1 => Text(),
        2 => Numbers[_random.Next(Numbers.Length)]?.DeepClone(),
        3 => new JsonArray(),
        4 => new JsonObject { ["x"] = Text() },
        _ => true,
    };

    private string TypeOf(JsonElement schema)
    {
        if (!schema.TryGetProperty("type", out var type))
            return "string";
        if (type.ValueKind != JsonValueKind.Array)
            return type.GetString()!;
        return type[_random.Next(type.GetArrayLength())].GetString()!;
    }

    private static ApiOperation Read(string path, JsonProperty operation)
    {
        var value = operation.Value;
        var answers = value.GetProperty("responses").EnumerateObject().Select(answer => answer.Name).Where(name => name != "default").Select(int.Parse);
        var query = value.TryGetProperty("parameters", out var parameters)
            ? parameters.EnumerateArray().Where(one => one.GetProperty("in").GetString() == "query").Select(one => one.GetProperty("name").GetString()!)
            : [];
        JsonElement? body = value.TryGetProperty("requestBody", out var asked)
            ? asked.GetProperty("content").GetProperty("application/json").GetProperty("schema")
            : null;
        return new ApiOperation(operation.Name.ToUpperInvariant(), path, [.. answers], [.. query], body);
    }
}
