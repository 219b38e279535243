using System.CommandLine;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json.Serialization.Metadata;
using Godwit.Api;
using Godwit.Cli.Text;

namespace Godwit.Cli;

/// <summary>One command being carried out: what was typed, and the ways to answer.</summary>
internal sealed class Session : IDisposable
{
    private readonly ParseResult _parsed;
    private readonly GlobalOptions _global;
    private readonly Option<bool>? _json;
    private GodwitClient? _client;

    /// <summary>Begins a command.</summary>
    /// <param name="shell">Where it runs.</param>
    /// <param name="parsed">What was typed.</param>
    /// <param name="global">The options every command takes.</param>
    /// <param name="json">The command's own --json, if it has one.</param>
    public Session(Shell shell, ParseResult parsed, GlobalOptions global, Option<bool>? json)
    {
        Shell = shell;
        _parsed = parsed;
        _global = global;
        _json = json;
        Talk = new Talk(shell, parsed.GetValue(global.Quiet));
    }

    /// <summary>Where it runs.</summary>
    public Shell Shell { get; }

    /// <summary>What is said on stderr.</summary>
    public Talk Talk { get; }

    /// <summary>Colours for stdout.</summary>
    public Paint Paint => new(Shell.ColourOut);

    /// <summary>JSON is wanted on stdout.</summary>
    public bool Json => _json is not null && _parsed.GetValue(_json);

    /// <summary>What ^C leaves and how to go on, for a command where that is not plain; null where nothing is to be said.</summary>
    public string? AfterCancel { get; set; }

    /// <summary>godwitd; connected when first asked.</summary>
    public GodwitClient Client => _client ??= CreateClient();

    /// <summary>The value of an argument.</summary>
    public T Get<T>(Argument<T> argument) => _parsed.GetRequiredValue(argument);

    /// <summary>The value of an option, or its default.</summary>
    public T? Get<T>(Option<T> option) => _parsed.GetValue(option);

    /// <summary>The value of a path option made absolute, or null when it was not given.</summary>
    public string? GetPath(Option<string?> option) => Get(option) is string path ? Shell.AbsolutePath(path) : null;

    /// <summary>Writes a record as JSON when that is wanted.</summary>
    /// <returns>False when text is wanted.</returns>
    public bool TryWriteJson<T>(T value, JsonTypeInfo<T> type)
    {
        if (Json)
            JsonText.Write(Shell.Out, value, type);
        return Json;
    }

    /// <inheritdoc/>
    public void Dispose() => _client?.Dispose();

    private GodwitClient CreateClient()
    {
        try
        {
            var variable = Shell.Variable("GODWIT_HOST");
            var text = _parsed.GetValue(_global.Host) ?? (string.IsNullOrEmpty(variable) ? GodwitAddress.Default : variable);
            return new GodwitClient(GodwitAddress.Parse(text), ReadToken(), Shell.Time, ReadAuthorities());
        }
        catch (GodwitException e)
        {
            throw new UsageException($"{e.Problem.Title}: {e.Problem.Remedy}");
        }
    }

    private X509Certificate2Collection? ReadAuthorities()
    {
        if ((_parsed.GetValue(_global.Authority) ?? Shell.Variable("GODWIT_CA")) is not { Length: > 0 } file)
            return null;
        try
        {
            var authorities = new X509Certificate2Collection();
            authorities.ImportFromPemFile(Shell.AbsolutePath(file));
            return authorities.Count > 0 ? authorities : throw new UsageException($"--ca: {file} holds no certificate in PEM form");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or CryptographicException)
        {
            throw new UsageException($"--ca: {file} cannot be read: {e.Message}");
        }
    }

    private string? ReadToken()
    {
        if (Shell.Variable("GODWIT_TOKEN") is { Length: > 0 } token)
            return token;
        if (Shell.Variable("GODWIT_TOKEN_FILE") is not { Length: > 0 } file)
            return null;
        try
        {
            return File.ReadAllText(Shell.AbsolutePath(file)).Trim();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new UsageException($"GODWIT_TOKEN_FILE cannot be read: {e.Message}");
        }
    }
}
