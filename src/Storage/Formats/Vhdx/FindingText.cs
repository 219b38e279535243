using System.Runtime.CompilerServices;

namespace Godwit.Storage.Formats.Vhdx;

/// <summary>The text of a finding, put together only when somebody will read it: a hostile table has millions of wrong entries, of
/// which a check lists some.</summary>
[InterpolatedStringHandler]
internal ref struct FindingText
{
    private DefaultInterpolatedStringHandler _text;

    public FindingText(int literalLength, int formattedCount, VhdxFindings findings, out bool isWanted)
    {
        isWanted = findings.WantsText;
        _text = isWanted ? new DefaultInterpolatedStringHandler(literalLength, formattedCount) : default;
    }

    public void AppendLiteral(string value) => _text.AppendLiteral(value);

    public void AppendFormatted<T>(T value) => _text.AppendFormatted(value);

    public void AppendFormatted<T>(T value, string? format) => _text.AppendFormatted(value, format);

    /// <summary>The text; once.</summary>
    public string Take() => _text.ToStringAndClear();
}
