# Completion of share for PowerShell: the program is asked what a word may become.
# Where share has nothing to say, PowerShell completes files by itself.

Register-ArgumentCompleter -Native -CommandName share, share.exe -ScriptBlock {
    param($word, $line, $cursor)
    $program = Get-Command share -CommandType Application -ErrorAction SilentlyContinue | Select-Object -First 1
    if (-not $program) { return }
    $words = @($line.CommandElements | Select-Object -Skip 1 |
        Where-Object { $_.Extent.EndOffset -lt $cursor } | ForEach-Object { $_.ToString() })
    & $program complete '--' @words "=$word" 2>$null | Select-Object -Skip 1 | ForEach-Object {
        $what, $usage = $_ -split "`t", 2
        if ($what.StartsWith($word)) {
            if (-not $usage) { $usage = $what }
            [System.Management.Automation.CompletionResult]::new($what, $what, 'ParameterValue', $usage)
        }
    }
}
