using System.Globalization;
using System.Text.RegularExpressions;
using Godwit.Api;
using Godwit.ControlPlane.Tests.Promises;
using Godwit.Host.Http;
using Xunit;

namespace Godwit.ControlPlane.Tests.Host;

/// <summary>docs/reference/rest.md has every error code with its status.</summary>
public sealed partial class RestPageTests
{
    [Fact]
    public void Every_code_is_in_the_table_with_its_status() => Assert.Equal(
        Enum.GetValues<ErrorCode>().Select(code => $"{code} {ProblemStatus.Of(code).ToString(CultureInfo.InvariantCulture)}").Order(StringComparer.Ordinal),
        Row().Matches(Repository.Read("docs/reference/rest.md")).Select(row => $"{row.Groups[1].Value} {row.Groups[2].Value}").Order(StringComparer.Ordinal));

    [GeneratedRegex(@"^\| `([A-Z]\w+)` \| (\d{3}) \|", RegexOptions.Multiline)]
    private static partial Regex Row();
}
